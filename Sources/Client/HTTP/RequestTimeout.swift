/// A request did not arrive whole in the time that it had.
struct RequestTimeout: Error {}
