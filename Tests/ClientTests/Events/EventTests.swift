import Messenger
import NIOCore
import Testing

@testable import Client

@Suite struct EventTests {
    @Test func aMessageIsOneLine() {
        let event = Event(.numbered(0, text: "a\nb\r\"\u{2028}я"))
        #expect(event.time == Message.numbered(0).sendTime)
        #expect(
            String(buffer: event.bytes) == """
                id: 2021-09-12T10:25:22.454093428Z
                data: {"author":"Ivan","text":"a\\nb\\r\\"\u{2028}я","sendTime":"2021-09-12T10:25:22.454093428Z"}


                """
        )
    }

    @Test func aGap() {
        let time = Message.numbered(0).sendTime
        #expect(
            String(buffer: .gapEvent(heldAfter: time, position: time)) == """
                event: gap
                id: 2021-09-12T10:25:22.454093428Z
                data: {"heldAfter":"2021-09-12T10:25:22.454093428Z"}


                """
        )
        #expect(
            String(buffer: .gapEvent(heldAfter: nil, position: nil))
                == "event: gap\nid: \ndata: {\"heldAfter\":null}\n\n"
        )
    }
}
