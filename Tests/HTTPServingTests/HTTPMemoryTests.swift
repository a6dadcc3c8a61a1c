import Testing

@testable import HTTPServing

@Suite struct HTTPMemoryTests {
    @Test func noMoreIsReservedThanThereIs() {
        let memory = HTTPMemory(limit: 10)
        #expect(memory.reserve(6))
        #expect(!memory.reserve(5))
        #expect(memory.usedBytes == 6)
        memory.release(6)
        #expect(memory.reserve(10))
    }
}
