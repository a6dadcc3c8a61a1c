/// The bells to be rung at the next message.
struct BellRegister: Sendable {
    private var bells: [Bell] = []
    private var limit = 64

    var count: Int { bells.count }

    /// Readers may come and go for ever in a room where nothing is said, so cancelled ones are cleared out now and then.
    mutating func add(_ bell: Bell) {
        if bells.count >= limit {
            bells.removeAll(where: \.isCancelled)
            limit = max(64, 2 * bells.count)
        }
        bells.append(bell)
    }

    /// All bells; each has to be added again for the message after the next.
    mutating func takeAll() -> [Bell] {
        var taken: [Bell] = []
        swap(&taken, &bells)
        return taken
    }
}
