"""What is compared: the cards, three executors, and the worked examples."""
