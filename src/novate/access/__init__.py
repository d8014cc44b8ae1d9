"""What people touch: signing, the JSON-RPC and WebSocket server, the client."""
