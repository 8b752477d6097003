"""What files are: kinds told by their bytes, headers, orientation, and the decoders that other libraries lack."""
