"""What training does to pictures: crops, colour, policies, mixing; draws are functions of a position."""
