"""What a neural scene must beat: the convolutional network of 2016, and pictures that need no network at all."""
