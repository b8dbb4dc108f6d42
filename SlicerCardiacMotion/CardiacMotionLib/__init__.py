"""What the module CardiacMotion of 3D Slicer is made of."""
