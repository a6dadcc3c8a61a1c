import Messenger

extension Message {
    /// The message number `number` of a room: later ones have later times.
    static func numbered(_ number: Int, author: String = "Ivan", text: String = "hey") -> Message {
        Message(
            author: author,
            text: text,
            sendTime: SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428 + Int64(number))
        )
    }
}
