import LibGRPC

// Requests to health and reflection.

private let reflection: ReflectionService = {
    do { return try ReflectionService(descriptorSets: []) } catch { fatalError("\(error)") }
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzServices(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    withTimeLimit { check(input(start, count)) }
}

private func check(_ bytes: [UInt8]) {
    let fields = Result { () throws(ProtobufFields.Malformed) in try ProtobufFields(bytes[...]) }
    let check = HealthCheckRequest?(trying: { try HealthCheckRequest(decoding: ByteBuffer(bytes)) })
    let request = ReflectionRequest?(trying: { try ReflectionRequest(decoding: ByteBuffer(bytes)) })
    if case .failure(.invalid) = fields { expect(check == nil && request == nil, "a request from invalid bytes") }

    if let check {
        let again = HealthCheckRequest?(trying: { try HealthCheckRequest(decoding: check.encoded()) })
        expect(again?.service == check.service, "\(check) changes to \(String(describing: again))")
        expect(check.service.bytes.count <= 257, "a long name is kept")
    }
    if let request {
        let response = ReflectionResponse(to: request, reflection.respond(to: request.query))
        let encoded = ByteBuffer?(trying: { try response.encoded() })
        let bytes = encoded?.withBytes { $0.withUnsafeBytes { Array($0) } }
        expect(bytes != nil, "no response to \(request.query)")
        do throws(ProtobufFields.Malformed) {
            _ = try ProtobufFields((bytes ?? [])[...])
        } catch {
            fatalError("a response that is not protobuf")
        }
    }
}
