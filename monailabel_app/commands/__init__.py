"""Commands that the app adds to `cardiac-motion`. They import light: the server itself only when it starts."""
