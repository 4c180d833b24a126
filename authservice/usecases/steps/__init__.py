"""What several stories do with stores and parts."""
