"""The consumer: takes messages from the queue, writes their leads, acknowledges once they are committed."""
