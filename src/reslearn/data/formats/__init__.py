"""Sources of pictures: folders, tables, tars, Parquet, packs, CIFAR, digits; and the decoder of their files."""
