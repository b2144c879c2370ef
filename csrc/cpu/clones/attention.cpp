#include "../attention_backward.h"
