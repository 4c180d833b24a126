"""Mail: from a letter and its templates to a message, and the message to an SMTP server or into a folder."""
