"""Features, Grad-CAM, layer responses, lesions."""
