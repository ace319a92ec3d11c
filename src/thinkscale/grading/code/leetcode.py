"""What LeetCode's own Python has before a solution begins: its imports, and the classes of its lists and trees.

Solutions on that site use `List`, `Counter`, `inf` or `ListNode` without importing them, and its tests build lists
and trees from Python lists in level order. The rows of LeetCode test sets leave all of this out.
"""

PREAMBLE = """\
import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from typing import *
from functools import *
from collections import *
from itertools import *
from heapq import *
from bisect import *
from string import *
from operator import *
from math import *
from builtins import pow

inf = float("inf")


class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next


class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right


def list_node(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head


def is_same_list(first, second):
    while first is not None and second is not None:
        if first.val != second.val:
            return False
        first, second = first.next, second.next
    return first is None and second is None


def tree_node(values):
    if not values or values[0] is None:
        return None
    root = TreeNode(values[0])
    waiting, position = [root], 1
    for node in waiting:
        for side in ("left", "right"):
            if position < len(values) and values[position] is not None:
                child = TreeNode(values[position])
                setattr(node, side, child)
                waiting.append(child)
            position += 1
    return root


def is_same_tree(first, second):
    waiting = [(first, second)]
    while waiting:
        one, other = waiting.pop()
        if one is None or other is None:
            if one is not other:
                return False
        elif one.val != other.val:
            return False
        else:
            waiting += [(one.left, other.left), (one.right, other.right)]
    return True
"""
"""Source text, run before the candidate's program and before the test."""
