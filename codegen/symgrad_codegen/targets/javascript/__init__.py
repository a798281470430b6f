"""The target `javascript`: an ES module."""
