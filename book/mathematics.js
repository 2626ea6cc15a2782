// Reads after MathJax's parts (see book/mathematics.py), in an engine without a browser's document.
const { TeX } = MathJax._.input.tex_ts;
const { CHTML } = MathJax._.output.chtml_ts;
const { TeXFont } = MathJax._.output.chtml.fonts.tex_ts;
const adaptor = MathJax._.adaptors.liteAdaptor.liteAdaptor();
const handler = MathJax._.handlers.html_ts.RegisterHTMLHandler(adaptor);
MathJax._.a11y["assistive-mml"].AssistiveMmlHandler(handler);

const fail = (_, error) => {
  throw new Error(error.message);
};
const output = new CHTML({
  adaptiveCSS: false, // which would tell only what these formulas need, not those of other runs
  font: new TeXFont({ fontURL: "mathjax" }),
  matchFontHeight: false,
});
const page = MathJax._.mathjax.mathjax.document("", {
  InputJax: new TeX({ packages: ["base", "ams", "newcommand"], formatError: fail }),
  OutputJax: output,
});

const typeset = (tex, display) => adaptor.outerHTML(page.convert(tex, { display }));
const stylesheet = () => adaptor.textContent(output.styleSheet(page));
