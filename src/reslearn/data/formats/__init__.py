"""Sources of pictures: folders, tables, tars, Parquet, packs, CIFAR's archives, digits."""
