"""What is known about the interests of each user. Reference: User Insights Database."""
