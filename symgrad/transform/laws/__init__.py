"""Laws: rewritings that make a graph cheaper or stabler, each a small function with its law in words."""
