"""Reading and writing of cines, labels and fields."""
