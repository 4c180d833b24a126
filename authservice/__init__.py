"""The authentication service of a company's internal microservices."""
