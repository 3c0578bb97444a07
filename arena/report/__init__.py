"""What a finished match is told with: summary, pictures, pages."""
