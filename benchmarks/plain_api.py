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

from benchmarks.models import PlainRecord
from workspaces.authentication import TokenAuthentication
from workspaces.choices import Scope
from workspaces.permissions import HasScope


class RecordSerializer(ModelSerializer[PlainRecord]):
    """Every column of the record, as the real list shows it."""

    class Meta:
        model = PlainRecord
        fields = [field.name for field in PlainRecord._meta.fields if field.name != "pk_number"]


class Keyset(BasePagination):
    """`?limit=&after=` by primary key: the cheapest paging there is, so that only the rendering is compared."""

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        limit, after = int(request.query_params.get("limit", 100)), int(request.query_params.get("after", 0))
        self.page = list(queryset.filter(pk__gt=after).order_by("pk")[:limit])
        return self.page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next_cursor": self.page[-1].pk if self.page else None})


class PlainOrders(ListAPIView[PlainRecord]):
    """GET /api/v1/plain-orders?limit=100&after=0"""

    scopes = {"GET": Scope.RECORDS_READ}
    authentication_classes = [TokenAuthentication]
    permission_classes = [HasScope]
    renderer_classes = [JSONRenderer]
    queryset = PlainRecord.objects.all()
    serializer_class = RecordSerializer
    pagination_class = Keyset
