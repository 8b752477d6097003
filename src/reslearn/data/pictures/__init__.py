"""What picture files are: kinds told by their bytes, headers, orientation, and decoders that other libraries lack."""
