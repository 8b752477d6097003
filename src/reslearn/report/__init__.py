"""Values to self-contained HTML, SVG and PNG; knows no network and no data set."""
