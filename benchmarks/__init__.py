"""Speed and accuracy beside other packages: ``make bench`` writes ``benchmarks/results.md``."""
