import Testing

@testable import Messenger

@Suite struct CivilDateTests {
    @Test func eachDayFollowsTheOneBefore() throws {
        // Two eras around the epoch: every kind of year, and dates before and after 1970.
        var previous = CivilDate(daysSinceEpoch: -150_001)
        for days in Int64(-150_000)...150_000 {
            let date = CivilDate(daysSinceEpoch: days)
            try #require(date.daysSinceEpoch == days)
            let isNextDay = (date.year, date.month, date.day) == (previous.year, previous.month, previous.day + 1)
            let isNextMonth = (date.year, date.month, date.day) == (previous.year, previous.month + 1, 1)
            let isNextYear =
                (date.year, date.month, date.day) == (previous.year + 1, 1, 1)
                && (previous.month, previous.day) == (12, 31)
            try #require(isNextDay || isNextMonth || isNextYear, "day \(days)")
            try #require(CivilDate(year: date.year, month: date.month, day: date.day) == date)
            previous = date
        }
    }

    @Test(arguments: [
        (2023, 2, 29), (1900, 2, 29), (2024, 2, 30), (2024, 4, 31), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0),
    ])
    func refusesDaysThatDoNotExist(year: Int64, month: Int64, day: Int64) {
        #expect(CivilDate(year: year, month: month, day: day) == nil)
    }
}
