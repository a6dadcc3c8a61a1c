"""What the acceptance tests share: programs as processes, and clients (HTTP, gRPC, curl, grpcurl)."""
