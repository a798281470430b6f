"""What is known of a graph without evaluating it: where nodes are needed, and the shapes of inputs."""
