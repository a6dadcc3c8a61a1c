#pragma once

// Something that a completion queue's event is for.
class Tag {
public:
    virtual ~Tag() = default;
    virtual void complete(bool ok) = 0;
};
