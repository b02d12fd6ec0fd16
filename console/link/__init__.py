"""Link, the pages on which a customer connects a system: server-rendered steps that work without JavaScript."""
