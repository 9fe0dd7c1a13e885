"""Extensions of users, how they are used and how practical they are. Reference: User Extensions Database."""
