// Reads after MathJax's parts (see book/mathematics.py), in an engine without a browser's document.
const { TeX } = MathJax._.input.tex_ts;
const { SVG } = MathJax._.output.svg_ts;
const { TeXFont } = MathJax._.output.svg.fonts.tex_ts;
const adaptor = MathJax._.adaptors.liteAdaptor.liteAdaptor();
const handler = MathJax._.handlers.html_ts.RegisterHTMLHandler(adaptor);
MathJax._.a11y["assistive-mml"].AssistiveMmlHandler(handler);

const fail = (_, error) => {
  throw new Error(error.message);
};
const output = new SVG({ font: new TeXFont(), fontCache: "none", matchFontHeight: false });
const page = MathJax._.mathjax.mathjax.document("", {
  InputJax: new TeX({ packages: ["base", "ams", "newcommand"], formatError: fail }),
  OutputJax: output,
});

const typeset = (tex, display) => adaptor.outerHTML(page.convert(tex, { display }));
const stylesheet = () => adaptor.textContent(output.styleSheet(page));
