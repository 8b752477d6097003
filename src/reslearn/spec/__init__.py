"""Values only: networks, recipes, preprocessing, errors. Imports no torch."""
