"""Published samplers by the names of their papers: functions that return a member of a family with its options."""
