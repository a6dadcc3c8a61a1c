import GRPC

// What strangers ask of the services that every server has: health and reflection.

private let reflection: ReflectionService = {
    do { return try ReflectionService(descriptorSets: []) } catch { fatalError("\(error)") }
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzServices(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    limited { check(input(start, count)) }
}

private func check(_ bytes: [UInt8]) {
    let fields = Result { () throws(ProtobufFields.Malformed) in try ProtobufFields(bytes[...]) }
    let check = HealthCheckRequest?(trying: { try HealthCheckRequest(decoding: ByteBuffer(bytes)) })
    let request = ReflectionRequest?(trying: { try ReflectionRequest(decoding: ByteBuffer(bytes)) })
    if case .failure(.broken) = fields { expect(check == nil && request == nil, "a request of what is broken") }

    if let check {
        let again = HealthCheckRequest?(trying: { try HealthCheckRequest(decoding: check.encoded()) })
        expect(again?.service == check.service, "\(check) has become \(String(describing: again))")
        expect(check.service.bytes.count <= 257, "a long name is kept")
    }
    if let request {
        let response = ReflectionResponse(to: request, reflection.answer(request.question))
        let encoded = ByteBuffer?(trying: { try response.encoded() })
        let answer = encoded?.withBytes { $0.withUnsafeBytes { Array($0) } }
        expect(answer != nil, "no answer to \(request.question)")
        do throws(ProtobufFields.Malformed) {
            _ = try ProtobufFields((answer ?? [])[...])
        } catch {
            fatalError("an answer that is no protobuf")
        }
    }
}
