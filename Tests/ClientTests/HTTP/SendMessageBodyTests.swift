import TestSupport
import Testing

@testable import Client

@Suite struct SendMessageBodyTests {
    private func decode(_ json: String) throws(InvalidBody) -> SendMessageBody {
        try SendMessageBody(json: Array(json.utf8))
    }

    @Test(arguments: [
        (#"{"author":"Ivan","text":"hey"}"#, "Ivan", "hey"),
        (#" { "text" : "hey" , "author" : "Ivan" } "#, "Ivan", "hey"),
        (#"{"author":"","text":""}"#, "", ""),
        (#"{"author":"a\u0000b","text":"\u0000"}"#, "a\u{0}b", "\u{0}"),
        (#"{"\u0061uthor":"Ivan","text":"hey"}"#, "Ivan", "hey"),
        (#"{"author":"Ivan","text":"hey","sendTime":null,"more":{"author":[1,{"text":2}]}}"#, "Ivan", "hey"),
        (#"{"Author":1,"author":"Ivan","text":"hey","":""}"#, "Ivan", "hey"),
    ])
    func takesAnObjectWithBothStrings(json: String, author: String, text: String) throws {
        let request = try decode(json)
        #expect(request.author == author)
        #expect(request.text == text)
    }

    @Test(arguments: [
        ("", "The body must be a JSON object with the strings \"author\" and \"text\"."),
        (" \n", "The body must be a JSON object with the strings \"author\" and \"text\"."),
        ("[]", "The body must be a JSON object with the strings \"author\" and \"text\"."),
        ("\"x\"", "The body must be a JSON object with the strings \"author\" and \"text\"."),
        ("author=Ivan&text=hey", "The body must be a JSON object with the strings \"author\" and \"text\"."),
        ("{}", "The body has no \"author\"."),
        (#"{"text":"hey"}"#, "The body has no \"author\"."),
        (#"{"author":"Ivan"}"#, "The body has no \"text\"."),
        (#"{"author":null,"text":"hey"}"#, "\"author\" must be a string."),
        (#"{"author":"Ivan","text":1}"#, "\"text\" must be a string."),
        (#"{"author":["Ivan"],"text":"hey"}"#, "\"author\" must be a string."),
        (#"{"author":"Ivan","author":"Petr","text":"hey"}"#, "The body has more than one \"author\"."),
        (#"{"author":"Ivan","text":1,"text":"hey"}"#, "The body has more than one \"text\"."),
        (#"{"author":"Ivan","text":"hey",}"#, "The body is not valid JSON: unexpected byte at offset 30."),
        (#"{"author":"Ivan","text":"hey"} {}"#, "The body is not valid JSON: unexpected byte at offset 31."),
        (#"{"author":"Ivan","text":"hey""#, "The body is not valid JSON: it ends too early."),
        (#"{"author":1,"text":"hey""#, "The body is not valid JSON: it ends too early."),
        (#"{"author":"\ud800","text":"hey"}"#, "The body is not valid JSON: unpaired surrogate at offset 12."),
        (
            #"{"author":"Ivan","text":"hey","more":"\ud800"}"#,
            "The body is not valid JSON: unpaired surrogate at offset 39."
        ),
        (#"{"author":"Ivan","text":"hey","more":NaN}"#, "The body is not valid JSON: unexpected byte at offset 37."),
        (
            "{\"author\":\"a\nb\",\"text\":\"hey\"}",
            "The body is not valid JSON: unescaped control character at offset 12."
        ),
        (
            #"{"author":"Ivan","text":"hey","more":"# + String(repeating: "[", count: 1_000_000),
            "The body is nested deeper than 64 levels."
        ),
    ])
    func refusesEverythingElseAndSaysWhy(json: String, message: String) {
        let failure = #expect(throws: InvalidBody.self) { try decode(json) }
        #expect(failure == InvalidBody(message: message))
    }

    @Test func refusesBytesThatAreNoUTF8() {
        let json = Array(#"{"author":""#.utf8) + [0xFF] + Array(#"","text":"hey"}"#.utf8)
        let failure = #expect(throws: InvalidBody.self) { try SendMessageBody(json: json) }
        #expect(failure == InvalidBody(message: "The body is not valid JSON: a string at offset 11 is not UTF-8."))
    }

    @Test func keysAreComparedAsBytes() throws {
        let marks = CombiningMarks.text(bytes: 80 << 10)
        let time = try cpuTime {
            let body = try decode(#"{"author":"Ivan","\#(marks)":0,"text":"hey"}"#)
            #expect(body.text.utf8.count == 3)
        }
        #expect(time < .milliseconds(200))
    }
}
