"""The list as Django REST framework's tutorial writes it, behind the same token and scope as the real one."""

from __future__ import annotations

from typing import Any

from rest_framework.generics import ListAPIView
from rest_framework.pagination import BasePagination
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from benchmarks.models import Order
from workspaces.authentication import TokenAuthentication
from workspaces.choices import Scope
from workspaces.permissions import HasScope


class OrderSerializer(ModelSerializer[Order]):
    """Every column."""

    class Meta:
        model = Order
        fields = [field.name for field in Order._meta.fields]


class Keyset(BasePagination):
    """`?limit=&after=` by primary key: the cheapest paging there is, so that only the rendering is compared."""

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        limit, after = int(request.query_params.get("limit", 100)), int(request.query_params.get("after", 0))
        return list(queryset.filter(id__gt=after).order_by("id")[:limit])

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next_cursor": data[-1]["id"] if data else None})


class PlainOrders(ListAPIView[Order]):
    """GET /api/v1/plain-orders?limit=100&after=0"""

    scopes = {"GET": Scope.RECORDS_READ}
    authentication_classes = [TokenAuthentication]
    permission_classes = [HasScope]
    renderer_classes = [JSONRenderer]
    queryset = Order.objects.all()
    serializer_class = OrderSerializer
    pagination_class = Keyset
