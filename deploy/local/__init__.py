"""One command on one machine: a broker, a database, a mail catcher and the services as child processes."""
