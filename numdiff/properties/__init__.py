"""What can be proved or measured about a method: stability, order, tables of derived schemes."""
