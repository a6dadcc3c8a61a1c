public import LibGRPC

/// Why somebody may not do something. The texts are for the caller, and hold nothing that the caller has sent.
public enum AccessRefusal: Error, Sendable, Equatable {
    /// There is no token, more than one, or something else.
    case noToken
    case unknownToken
    /// The token does not have the right.
    case noRight(AccessRights)
    /// The token has sent all that it may for the moment.
    case overRate(MessageRate, wait: Duration)

    /// A sentence without its dot, in lower case, as gRPC's messages are.
    public var message: String {
        switch self {
        case .noToken: "a token is needed: send authorization: Bearer TOKEN"
        case .unknownToken: "the token is not valid"
        case .noRight(let right): "the token has no right to \(right.settingText)"
        case .overRate(let rate, _): "the token may send \(rate.perSecond) messages a second; try again later"
        }
    }

    /// The same as a sentence.
    public var sentence: String { message.prefix(1).uppercased() + message.dropFirst() + "." }

    /// The status of the call.
    public var rpcError: RPCError {
        let code: Status.Code =
            switch self {
            case .noToken, .unknownToken: .unauthenticated
            case .noRight: .permissionDenied
            case .overRate: .resourceExhausted
            }
        return RPCError(code: code, message: message)
    }
}
