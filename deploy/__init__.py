"""Running Leadgate: on one machine, under gunicorn, in containers."""
