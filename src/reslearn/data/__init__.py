"""Pictures: sources, decoding, preprocessing, augmentation, splits, loaders."""
