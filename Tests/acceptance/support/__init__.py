"""What the acceptance tests share: the programs as processes, and their users (HTTP, gRPC, curl, grpcurl)."""
