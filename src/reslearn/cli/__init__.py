"""One thin file per group of subcommands; each subcommand is one public function call."""
