"""The parts of a report: what it says, once; and Markdown, a terminal and a page that show it."""
