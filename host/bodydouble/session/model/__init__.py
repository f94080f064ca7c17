"""Any model on a board: a library of models, runs, comparisons with golden references, measurements."""
