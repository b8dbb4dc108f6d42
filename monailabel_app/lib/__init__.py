"""What the app and the server are made of."""
