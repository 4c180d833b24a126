"""SQLAlchemy over SQLite and MySQL/MariaDB, from the same code. One store per noun; transactions in one place."""
